// Runs before the page is drawn: the stored theme applies without a flash, and "js" says that what needs
// a script may be shown.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  try {
    var theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") {
      root.dataset.theme = theme;
    }
  } catch (_) {
    // Without storage the system's theme stays.
  }
})();
