"use strict";
// Filters and pages the samples, which all stand in the page. Reads texts, never writes markup.
(() => {
  const samples = [...document.querySelectorAll(".sample")];
  const groups = [...document.querySelectorAll(".group")];
  const at = (id) => document.getElementById(id);
  if (!samples.length) return;
  const texts = samples.map((each) => each.textContent.toLowerCase());
  const pages = at("pages");
  let page = 0;

  const bound = (id, otherwise) => {
    const value = parseFloat(at(id).value);
    return Number.isNaN(value) ? otherwise : value;
  };

  const wanted = () => {
    const outcome = at("outcome").value;
    const reason = at("reason").value;
    const low = bound("low", -Infinity);
    const high = bound("high", Infinity);
    const words = at("words").value.trim().toLowerCase();
    const scored = low !== -Infinity || high !== Infinity;
    return samples.filter((each, place) => {
      const { kind, split, reason: why, score } = each.dataset;
      if (outcome && outcome !== kind && outcome !== split) return false;
      if (reason && reason !== why) return false;
      if (scored && (score === undefined || +score < low || +score > high)) return false;
      return !words || texts[place].includes(words);
    });
  };

  const show = () => {
    const found = wanted();
    const size = +at("size").value || found.length || 1;
    const last = Math.max(0, Math.ceil(found.length / size) - 1);
    page = Math.min(Math.max(page, 0), last);
    const here = new Set(found.slice(page * size, (page + 1) * size));
    for (const each of samples) each.hidden = !here.has(each);
    for (const each of groups) each.hidden = !each.querySelector(".sample:not([hidden])");
    at("found").textContent =
      `${found.length} of ${samples.length} samples; page ${page + 1} of ${last + 1}`;
    at("earlier").disabled = page === 0;
    at("later").disabled = page === last;
  };

  const turn = (by) => {
    page += by;
    show();
    at("samples").scrollIntoView();
  };

  const filter = () => {
    page = 0;
    show();
  };

  for (const id of ["outcome", "reason", "low", "high", "words", "size"]) {
    at(id).addEventListener("input", filter);
  }
  at("earlier").addEventListener("click", () => turn(-1));
  at("later").addEventListener("click", () => turn(1));
  at("clear").addEventListener("click", () => {
    for (const id of ["outcome", "reason", "low", "high", "words"]) at(id).value = "";
    filter();
  });
  for (const link of document.querySelectorAll("a[data-reason]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      for (const id of ["outcome", "low", "high", "words"]) at(id).value = "";
      at("reason").value = link.dataset.reason;
      filter();
      at("samples").scrollIntoView();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "ArrowRight" && !at("later").disabled) turn(1);
    if (event.key === "ArrowLeft" && !at("earlier").disabled) turn(-1);
  });

  at("controls").hidden = false;
  pages.hidden = false;
  show();
})();
