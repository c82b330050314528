/** Text that is HTML already. Only {@link html} makes it, so what was not written here is always escaped. */
export interface Html {
  readonly html: string;
}

type Fragment = string | number | Html | undefined | readonly Fragment[];

/** A template whose values are escaped unless they are HTML themselves; lists are joined, undefined is nothing. */
export function html(texts: TemplateStringsArray, ...values: readonly Fragment[]): Html {
  return { html: texts.reduce((out, text, i) => out + text + render(values[i]), '') };
}

/** Only for constants of the source code: a style sheet, a script. */
export function trustedHtml(text: string): Html {
  return { html: text };
}

function render(value: Fragment): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return 'html' in value ? value.html : value.map(render).join('');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Safe between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}
