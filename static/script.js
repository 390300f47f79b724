// Enhancements of the pages: local times, copy buttons, menus that close. The pages also work without JavaScript.
"use strict";

const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const clockFormat = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const relativeFormat = new Intl.RelativeTimeFormat(undefined, { numeric: "always", style: "short" });
// Each unit with its length and the time from which it is used.
const UNITS = [["year", 31536e6, 63072e6], ["month", 2592e6, 7776e6], ["day", 864e5, 864e5], ["hour", 36e5, 36e5], ["minute", 6e4, 6e4]];

const parseTime = (text) => new Date(text.replace(" ", "T"));
// Times are relative to the service's clock.
const main = document.getElementById("main");
const now = main && main.dataset.now ? parseTime(main.dataset.now) : new Date();

function relative(date) {
  const distance = date - now;
  const unit = UNITS.find(([, , start]) => Math.abs(distance) >= start);
  if (unit) return relativeFormat.format(Math.round(distance / unit[1]), unit[0]);
  return distance > 0 ? "in less than a minute" : "just now";
}

for (const time of document.querySelectorAll("time")) {
  const utc = time.dateTime || time.textContent;
  const date = parseTime(utc);
  if (Number.isNaN(date.getTime())) continue;
  time.dateTime = utc;
  time.title = timeFormat.format(date);
  if (time.closest(".activity")) time.textContent = clockFormat.format(date);
  else if ("day" in time.dataset) time.textContent = dayFormat.format(date);
  else time.textContent = "exact" in time.dataset ? timeFormat.format(date) : relative(date);
}

// Groups events by the days of the browser's time zone instead of those in UTC.
for (const table of document.querySelectorAll(".activity")) {
  const heading = table.querySelector(".day");
  for (const day of table.querySelectorAll(".day")) day.remove();
  let last = "";
  for (const time of table.querySelectorAll("td time")) {
    const day = dayFormat.format(parseTime(time.dateTime));
    if (day === last) continue;
    const row = heading.cloneNode(true);
    row.firstElementChild.textContent = last = day;
    time.closest("tr").before(row);
  }
}

for (const number of document.querySelectorAll("[data-number]")) {
  number.textContent = Number(number.dataset.number).toLocaleString();
}

// Removes the notice from the address, so that reloading the page or going back does not repeat it.
const currentUrl = new URL(location.href);
if (currentUrl.searchParams.has("done")) {
  currentUrl.searchParams.delete("done");
  currentUrl.searchParams.delete("token");
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

for (const id of document.querySelectorAll(".id")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.title = "Copy token ID";
  button.setAttribute("aria-label", "Copy token ID");
  button.addEventListener("click", () => copy(id, button));
  id.after(button);
}

// Adds the other actions to the menus of the rows. Without scripts they are on the page of the token.
for (const remove of document.querySelectorAll("td details a")) {
  const path = remove.pathname.replace(/\/delete$/, "");
  const id = path.split("/").pop();
  const link = (text, href) => {
    const entry = document.createElement("a");
    entry.href = href;
    entry.textContent = text;
    remove.before(entry);
  };
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy token ID";
  button.addEventListener("click", () => {
    const source = document.createElement("span");
    source.textContent = id;
    copy(source, null);
  });
  remove.before(button);
  const status = remove.closest("tr").querySelector("b").textContent;
  if (path.startsWith("/preferences") && ["Active", "Expires soon"].includes(status)) link("Replace this token…", `${path}/replace`);
  link("Show activity", `${path}#history`);
}

// Closes a menu when the user clicks outside, moves the focus out of it or presses Escape.
const menus = [...document.querySelectorAll("details:not(.more)")];
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

// Entering a value selects the choice that it belongs to.
for (const choice of document.querySelectorAll("[data-selects]")) {
  choice.addEventListener("input", ({ target }) => {
    if (target.checked || target.type === "text") document.getElementById(choice.dataset.selects).checked = true;
  });
}

// Counts characters as the service does: `maxlength` counts a character outside the basic plane twice.
for (const field of document.querySelectorAll("[data-max]")) {
  const counter = document.createElement("p");
  counter.className = "hint count";
  field.after(counter);
  const count = () => {
    const length = [...field.value].length;
    counter.textContent = `${length} of ${field.dataset.max} characters`;
    field.setCustomValidity(length > field.dataset.max ? `Enter at most ${field.dataset.max} characters.` : "");
  };
  field.addEventListener("input", count);
  count();
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
