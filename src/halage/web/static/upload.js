// A dashboard's document is read from a file into the form, which works without a script as well.
"use strict";

(() => {
  const file = document.getElementById("file");
  const target = document.getElementById("document");
  file.closest("[hidden]").hidden = false;
  file.addEventListener("change", async () => {
    target.value = file.files.length ? await file.files[0].text() : "";
  });
})();
