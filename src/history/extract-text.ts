/** From a message's bytes to the words that people search for. */
import { convert } from 'html-to-text';
import PostalMime, { type Address, type Email } from 'postal-mime';
import { decodeWords } from './decode.ts';

/** What is indexed of a message. */
export interface SearchText {
  readonly subject: string;
  readonly from: string;
  /** To, Cc and Bcc. */
  readonly to: string;
  readonly text: string;
}

/** Most characters of text indexed per message. */
export const TEXT_CHARS_MAX = 256 * 1024;
/** Text shorter than this may be a stand-in for an HTML part ("this mail is in HTML"): both are indexed then. */
const shortText = 200;
/** A run of bulk (base64) lines longer than this is an attachment that nobody searches by word. */
const bulkBytesMax = 256 * 1024;

/** Never throws: of mail that cannot be parsed, headers and readable text are taken as they stand. */
export async function extractText(message: Uint8Array): Promise<SearchText> {
  const bytes = dropBulk(message);
  try {
    return fromEmail(await PostalMime.parse(bytes, { maxNestingDepth: 64 }));
  } catch {
    // Nesting or headers beyond the parser's limits: no reason to leave the message out.
    return fromRaw(bytes);
  }
}

function fromEmail(email: Email): SearchText {
  const people = [...(email.to ?? []), ...(email.cc ?? []), ...(email.bcc ?? [])];
  const parts = [email.text ?? ''];
  if (email.html && (email.text ?? '').trim().length < shortText) parts.push(htmlText(email.html));
  for (const attachment of email.attachments) {
    parts.push(attachment.filename ?? '', attachment.description ?? '');
    if (!attachment.mimeType.startsWith('text/') || typeof attachment.content === 'string') continue;
    const content = Buffer.from(attachment.content as ArrayBuffer)
      .subarray(0, TEXT_CHARS_MAX)
      .toString('utf8');
    parts.push(attachment.mimeType === 'text/html' ? htmlText(content) : content);
  }
  return {
    subject: clean(email.subject ?? '', 2000),
    from: clean([email.from, email.sender].map(addressText).join(' '), 2000),
    to: clean(people.map(addressText).join(' '), 20_000),
    text: clean(parts.join('\n'), TEXT_CHARS_MAX),
  };
}

function addressText(address: Address | undefined): string {
  if (!address) return '';
  if (address.group) return [address.name, ...address.group.map(addressText)].join(' ');
  return `${address.name} ${address.address}`;
}

function htmlText(html: string): string {
  const limited = html.slice(0, TEXT_CHARS_MAX * 4);
  try {
    return convert(limited, {
      wordwrap: false,
      limits: { maxInputLength: TEXT_CHARS_MAX * 4, maxDepth: 100 },
      selectors: [
        { selector: 'a', options: { ignoreHref: true } },
        { selector: 'img', format: 'skip' },
      ],
    });
  } catch {
    // Depth or syntax beyond the converter: the text between the tags serves as well.
    return limited.replace(/<[^>]{0,2000}>/g, ' ');
  }
}

function fromRaw(bytes: Uint8Array): SearchText {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, TEXT_CHARS_MAX)).toString(
    'utf8',
  );
  const end = /\r?\n\r?\n/.exec(text)?.index ?? text.length;
  const header = text.slice(0, end).replace(/\r?\n(?=[ \t])/g, '');
  const value = (name: string) =>
    decodeWords(new RegExp(`^${name}[ \\t]*:(.*)$`, 'im').exec(header)?.[1]?.trim() ?? '');
  return {
    subject: clean(value('Subject'), 2000),
    from: clean(value('From'), 2000),
    to: clean(`${value('To')} ${value('Cc')}`, 20_000),
    text: clean(text.slice(end), TEXT_CHARS_MAX),
  };
}

function clean(text: string, max: number): string {
  return text.slice(0, max).replaceAll('\0', ' ').toWellFormed();
}

const LF = 10;
const SPACE = 32;

/** Cuts long runs of lines of one length without a blank: encoded attachments. Decoding them would cost more than all the rest. */
function dropBulk(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= bulkBytesMax) return bytes;
  const kept: Uint8Array[] = [];
  let keptTo = 0;
  let runStart = 0;
  let runLine = 0;
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(LF, start);
    const end = found < 0 ? bytes.length : found + 1;
    const length = end - start;
    const blank = bytes.indexOf(SPACE, start);
    const bulk = length > 56 && length < 1000 && (blank < 0 || blank >= end);
    if (!bulk || length !== runLine) {
      if (start - runStart > bulkBytesMax && runLine > 0) {
        kept.push(bytes.subarray(keptTo, runStart));
        keptTo = start;
      }
      runStart = start;
      runLine = bulk ? length : 0;
    }
    start = end;
  }
  if (runLine > 0 && bytes.length - runStart > bulkBytesMax) {
    kept.push(bytes.subarray(keptTo, runStart));
    keptTo = bytes.length;
  }
  if (kept.length === 0) return bytes;
  return Buffer.concat([...kept, bytes.subarray(keptTo)]);
}
