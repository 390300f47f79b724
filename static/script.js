// Enhancements of the pages: local times, copy buttons, menus that close. The pages also work without JavaScript.
"use strict";

const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

for (const time of document.querySelectorAll("time")) {
  const utc = time.dateTime || time.textContent;
  const date = new Date(utc.replace(" ", "T"));
  if (Number.isNaN(date.getTime())) continue;
  time.dateTime = utc;
  time.title = utc.replace("Z", " UTC");
  time.textContent = (time.hasAttribute("data-day") ? dayFormat : timeFormat).format(date);
}

for (const number of document.querySelectorAll("[data-number]")) {
  number.textContent = Number(number.dataset.number).toLocaleString();
}

// Removes the notice from the address, so that reloading the page or going back does not repeat it.
const currentUrl = new URL(location.href);
if (currentUrl.searchParams.has("done")) {
  currentUrl.searchParams.delete("done");
  history.replaceState(null, "", currentUrl);
}

const formError = document.getElementById("form-error");
if (formError) formError.focus();

const announcement = document.getElementById("announcement");
let clearTimer = 0;

/** Shows a message for five seconds, on screen and to screen readers, and marks the button that caused it. */
function announce(text, button) {
  for (const other of document.querySelectorAll(".copied")) other.classList.remove("copied");
  if (button) button.classList.add("copied");
  announcement.textContent = text;
  clearTimeout(clearTimer);
  if (text) clearTimer = setTimeout(() => announce("", null), 5000);
}

async function copy(source, button) {
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    announce("Copied.", button);
  } catch {
    // The clipboard is not accessible. Select the text, so that Ctrl+C copies it.
    getSelection().selectAllChildren(source);
    announce("Selected. Press Ctrl+C to copy.", null);
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

// Closes a menu when the user clicks outside, moves the focus out of it or presses Escape.
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

// Typing a number of days selects the custom choice; selecting another choice clears the field. Only a click moves the focus to the
// field, so that arrow keys still cycle through the choices.
const days = document.querySelector("[data-days-of]");
if (days) {
  const custom = document.getElementById(days.dataset.daysOf);
  const end = document.getElementById("custom-end");
  const showEnd = () => {
    if (!end) return;
    const count = Number(days.value);
    const isValid = days.value !== "" && Number.isInteger(count) && (count === -1 || count > 0) && days.validity.valid;
    if (!isValid) end.textContent = "";
    else if (count === -1) end.textContent = "never expires";
    else end.textContent = "until " + dayFormat.format(new Date(Date.now() + count * 86400000));
  };
  days.addEventListener("input", () => {
    if (days.value !== "") custom.checked = true;
    showEnd();
  });
  for (const choice of document.getElementsByName(custom.name)) {
    choice.addEventListener("change", () => {
      if (!custom.checked) days.value = "";
      showEnd();
    });
  }
  custom.addEventListener("click", (event) => {
    if (event.detail > 0) days.focus();
  });
  showEnd();
}

// Submits a form only once, even if its button is pressed repeatedly.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
