/** The style sheet of the inbox page: system fonts, light and dark, readable without a mouse. */
export const INBOX_STYLE = `
:root { color-scheme: light dark; --text: #1c2430; --muted: #5a6675; --line: #dfe4ea; --page: #f5f7f9; --card: #fff;
  --good: #0b6b3a; --good-page: #e3f5ea; --bad: #9f1d1d; --bad-page: #fdeaea; --note: #7a4b00; --note-page: #fff1d6;
  --code-page: #f0f3f6; --link: #0b57b0; }
@media (prefers-color-scheme: dark) { :root { --text: #e6eaf0; --muted: #9aa7b7; --line: #2c3642; --page: #12171d;
  --card: #1a2129; --good: #7fdca4; --good-page: #12331f; --bad: #ff9d9d; --bad-page: #3d1717; --note: #ffcf7d;
  --note-page: #38290d; --code-page: #10151a; --link: #7cb7ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main, header { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .75rem; }
p { margin: .25rem 0; }
a { color: var(--link); }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { margin: .5rem 0 0; padding: .75rem 1rem; background: var(--code-page); border-radius: .375rem; overflow: auto;
  max-height: 30rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.muted { color: var(--muted); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1rem 0 0; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem; }
article, .card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem 1.25rem; }
article > div { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: center; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
time { color: var(--muted); margin-left: auto; font-size: .875rem; font-variant-numeric: tabular-nums; }
.pill { font-size: .8125rem; font-weight: 600; padding: .1rem .6rem; border-radius: 1rem; white-space: nowrap; }
.good { color: var(--good); background: var(--good-page); }
.bad { color: var(--bad); background: var(--bad-page); }
.note { color: var(--note); background: var(--note-page); }
article .facts { margin-top: .6rem; font-size: .9375rem; }
.reason { margin: .6rem 0 0; padding: .5rem .75rem; border-radius: .375rem; }
details { margin-top: .6rem; font-size: .9375rem; }
details + details { margin-top: .25rem; }
summary { cursor: pointer; color: var(--link); }
nav { margin: 1rem 0; }
footer { padding: 2rem 0; font-size: .875rem; }
`;

/**
 * Loads the page again when something has arrived, unless somebody is reading details. Without scripts, a button does it.
 */
export const INBOX_SCRIPT = `
const { newest, feed } = document.body.dataset;
const look = async () => {
  if (document.hidden || document.querySelector('details[open]')) return;
  const answer = await fetch(feed).catch(() => undefined);
  if (answer && answer.ok && (await answer.json()).newest !== newest) location.reload();
};
setInterval(look, 2000);
`;
