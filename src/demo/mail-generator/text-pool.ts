/**
 * Paragraphs, made once per language and encoding and used again and again: assembling a message is then copying,
 * not encoding. What differs from message to message (names, numbers) comes from its first line and its headers.
 */
import type { Random } from '../../lib/index.ts';
import { type Charset, encodeText } from './charsets.ts';
import { type Language, projects, type TransferEncoding } from './languages.ts';
import { encodeBody } from './transfer-encoding.ts';

export interface Paragraph {
  /** Ends with an empty line. Encoded for transfer, except for base64, which must be applied to the whole body. */
  readonly text: Buffer;
  readonly html: Buffer;
  /** As quoted in an answer. */
  readonly quoted: Buffer;
}

export interface TextStyle {
  readonly language: Language;
  readonly charset: Charset;
  readonly transfer: TransferEncoding;
  readonly paragraphs: readonly Paragraph[];
}

const paragraphsPerStyle = 200;

/** Every way of writing that `language` has. */
export function makeStyles(language: Language, random: Random): TextStyle[] {
  return language.encodings.map(({ charset, transfer }) => ({
    language,
    charset,
    transfer,
    paragraphs: Array.from({ length: paragraphsPerStyle }, () => {
      const lines = Array.from({ length: random.integer(1, 5) }, () =>
        fillSlots(random.pick(language.sentences), language, random),
      );
      const encode = (text: string) => transferReady(text, charset, transfer);
      return {
        text: encode(`${lines.join('\r\n')}\r\n\r\n`),
        html: encode(
          `<p style="margin:0 0 1em 0;font-family:Calibri,sans-serif">\r\n${lines.map(escapeHtml).join('<br>\r\n')}\r\n</p>\r\n`,
        ),
        quoted: encode(lines.map((line) => `> ${line}\r\n`).join('')),
      };
    }),
  }));
}

/** Encodes `text` as a piece of a body: transfer encoding too, unless that is base64. */
export function transferReady(text: string, charset: Charset, transfer: TransferEncoding): Buffer {
  const bytes = encodeText(text, charset);
  return transfer === 'base64' ? bytes : encodeBody(bytes, transfer);
}

export function fillSlots(text: string, language: Language, random: Random): string {
  return text.replace(/\{(\w+)\}/g, (_, slot: string) => {
    switch (slot) {
      case 'project':
        return random.pick(projects);
      case 'name':
        return random.pick(language.names)[0];
      case 'amount':
        return `${random.integer(1, 250)}.${String(random.integer(0, 999)).padStart(3, '0')},00 EUR`;
      case 'day':
        return random.pick(language.days);
      default:
        return String(random.integer(10_000, 999_999));
    }
  });
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;' })[character] ?? '&gt;');
}
