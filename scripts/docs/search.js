// The search box: names first, then what is said of them. Without JavaScript there is the page of all names.
(function () {
  "use strict";
  var box = document.getElementById("page.search"), list = document.getElementById("page.found");
  if (!box || !window.moonwire_names) return;
  box.hidden = false;
  function score(entry, words) {
    var name = entry[0].toLowerCase(), text = entry[2].toLowerCase(), sum = 0;
    for (var i = 0; i < words.length; i++) {
      var at = name.indexOf(words[i]);
      if (at >= 0) sum += name.length === at + words[i].length ? 8 : 4;
      else if (text.indexOf(words[i]) >= 0) sum += 1;
      else return 0;
    }
    return sum;
  }
  box.querySelector("input").addEventListener("input", function (event) {
    var words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean), hits = [];
    list.textContent = "";
    if (words.length === 0) return;
    window.moonwire_names.forEach(function (entry) {
      var n = score(entry, words);
      if (n > 0) hits.push([n, entry]);
    });
    hits.sort(function (a, b) { return b[0] - a[0]; });
    hits.slice(0, 20).forEach(function (hit) {
      var item = document.createElement("li"), link = document.createElement("a"), small = document.createElement("small");
      link.href = hit[1][1];
      link.textContent = hit[1][0];
      small.textContent = hit[1][2];
      link.appendChild(small);
      item.appendChild(link);
      list.appendChild(item);
    });
  });
  box.addEventListener("keydown", function (event) {
    if (event.key === "Escape") list.textContent = "";
  });
})();
