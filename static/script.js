// What pages do more where scripts are on: times in the reader's zone, copying, menus that close. Everything works without.
"use strict";

const zone = { dateStyle: "medium", timeStyle: "short" };
const inZone = new Intl.DateTimeFormat(undefined, zone);
const dayInZone = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

for (const time of document.querySelectorAll("time")) {
  const exact = time.dateTime || time.textContent;
  const moment = new Date(exact.replace(" ", "T"));
  if (Number.isNaN(moment.getTime())) continue;
  time.dateTime = exact;
  time.title = exact.replace("Z", " UTC");
  time.textContent = (time.hasAttribute("data-day") ? dayInZone : inZone).format(moment);
}

for (const number of document.querySelectorAll("[data-number]")) {
  number.textContent = Number(number.dataset.number).toLocaleString();
}

// What was just done is said once: not again when the page is reloaded or gone back to.
const here = new URL(location.href);
if (here.searchParams.has("done")) {
  here.searchParams.delete("done");
  history.replaceState(null, "", here);
}

const problem = document.getElementById("problem");
if (problem) problem.focus();

const said = document.getElementById("said");
let saidUntil = 0;

/** Says something to everybody for a while. */
function say(text, button) {
  for (const other of document.querySelectorAll(".copied")) other.classList.remove("copied");
  if (button) button.classList.add("copied");
  said.textContent = text;
  clearTimeout(saidUntil);
  if (text) saidUntil = setTimeout(() => say("", null), 5000);
}

async function copy(source, button) {
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    say("Copied.", button);
  } catch {
    // No right to the clipboard: select it, so that one key press copies.
    getSelection().selectAllChildren(source);
    say("Selected. Press Ctrl+C to copy.", null);
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(document.getElementById(button.dataset.copy), button));
}

for (const id of document.querySelectorAll("td code, .id")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.title = "Copy token ID";
  button.setAttribute("aria-label", "Copy token ID");
  button.addEventListener("click", () => copy(id, button));
  id.after(button);
}

// One menu at a time; a click or the focus going elsewhere and Escape close it.
const menus = [...document.querySelectorAll("details")];
document.addEventListener("click", (event) => {
  for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
});
for (const menu of menus) {
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus.filter((menu) => menu.open)) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Days that are written choose themselves; another choice empties the field. Only a pointer moves the focus: arrow keys go on through
// the choices.
const days = document.querySelector("[data-days-of]");
if (days) {
  const custom = document.getElementById(days.dataset.daysOf);
  const end = document.getElementById("custom-end");
  const show = () => {
    if (!end) return;
    const count = Number(days.value);
    const fits = days.value !== "" && Number.isInteger(count) && (count === -1 || count > 0) && days.validity.valid;
    if (!fits) end.textContent = "";
    else if (count === -1) end.textContent = "never expires";
    else end.textContent = "until " + dayInZone.format(new Date(Date.now() + count * 86400000));
  };
  days.addEventListener("input", () => {
    if (days.value !== "") custom.checked = true;
    show();
  });
  for (const choice of document.getElementsByName(custom.name)) {
    choice.addEventListener("change", () => {
      if (!custom.checked) days.value = "";
      show();
    });
  }
  custom.addEventListener("click", (event) => {
    if (event.detail > 0) days.focus();
  });
  show();
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
