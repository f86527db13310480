-- As good as nothing: what the module costs.
require "moonwire"
