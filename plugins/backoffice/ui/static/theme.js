// Sets the colour theme before the first paint: the person's choice, else that of the device.
(function () {
  "use strict";
  var root = document.documentElement;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var chosen = root.getAttribute("data-theme");
  try {
    // pages without a person behind them (login, failures) remember what the last one had
    if (chosen) localStorage.setItem("backoffice-theme", chosen);
    else chosen = localStorage.getItem("backoffice-theme");
  } catch (error) { /* private window: not kept */ }
  function apply() {
    var theme = root.getAttribute("data-theme") || chosen;
    root.setAttribute("data-bs-theme", theme === "light" || theme === "dark" ? theme : dark.matches ? "dark" : "light");
  }
  apply();
  dark.addEventListener("change", apply);
  root.classList.add("js");
})();
