// While a long act of money is on its way, its form says so; without this script the browser's own bar does.
(function () {
  "use strict";
  Array.from(document.querySelectorAll("form[data-working]")).forEach(function (form) {
    var line = document.createElement("div");
    line.className = "working";
    line.hidden = true;
    line.setAttribute("role", "status");
    var bar = document.createElement("progress");
    bar.setAttribute("aria-label", "Идёт работа");
    var said = document.createElement("span");
    line.append(said, bar);
    form.append(line);
    form.addEventListener("submit", function () {
      said.textContent = form.dataset.working;
      line.hidden = false;
    });
    window.addEventListener("pageshow", function () { line.hidden = true; }); // back from the next page
  });
})();
