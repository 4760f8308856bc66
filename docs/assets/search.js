// Error codes begin with a minus, which the search takes for "without": `-32092` would find every page but the right one.
"use strict";
for (const event of ["input", "keyup", "focusin"]) {
  document.addEventListener(event, ({ target }) => {
    if (!target.matches?.(".md-search__input")) return;
    const meant = target.value.replace(/(^|\s)-(?=\d)/g, "$1");
    if (meant !== target.value) target.value = meant;
  }, true);
}
