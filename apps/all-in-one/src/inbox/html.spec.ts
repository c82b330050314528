import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { escapeHtml, html, trustedHtml } from './html.ts';

describe('html', () => {
  test('escapes every value, in lists too, and leaves HTML as it is', () => {
    const attack = '<script>alert("x")</script>';
    expect(html`<p title="${attack}">${[attack, html`<b>${1}</b>`, undefined]}</p>`.html).toBe(
      '<p title="&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;">' +
        '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;<b>1</b></p>',
    );
    expect(html`${trustedHtml('<hr>')}`.html).toBe('<hr>');
  });

  test('never lets a character through that ends a text or an attribute', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"']|&(?!(?:amp|lt|gt|quot|#39);)/);
      }),
    );
  });
});
