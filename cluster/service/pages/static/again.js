// Asks again for what is being made, as its button does.
(() => {
  "use strict";
  const form = document.querySelector("form[data-again]");
  if (form) setTimeout(() => form.requestSubmit(), Number(form.dataset.again));
})();
