// json COUNT: the same for all.
import "../javascript/json.mjs";
