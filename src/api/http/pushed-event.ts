/**
 * Reads the body of a pushed event: `{"user": …, "success": true, "events": [{"name", "mailbox", "uid", …}]}`.
 *
 * It is written by a script in the mail server, from whatever a message or a client made it hold, so it is read
 * generously: control characters and invalid UTF-8 in strings, numbers as text or with a fraction ("2.0"). An
 * event is a hint where to look, so a field that makes no sense is left out, and of a body that is no JSON at
 * all the user alone is enough.
 */
import type { PushEvent, PushedChange } from '../../workloads/mail/index.ts';

/** Undefined when not even the user can be read. `happened` is false for a transaction that failed. */
export interface PushedBody {
  readonly event: PushEvent;
  readonly happened: boolean;
}

export function readPushedEvent(body: Uint8Array): PushedBody | undefined {
  // JSON allows no control characters in strings; between tokens they may as well be spaces.
  const printable = body.map((byte) => Math.max(byte, 0x20));
  const text = new TextDecoder().decode(printable);
  const parsed = parse(text);
  if (parsed === undefined) {
    const user = /"user"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
    return user === undefined || user === '' ? undefined : { event: { user, changes: [] }, happened: true };
  }
  const user = parsed['user'];
  if (typeof user !== 'string' || user === '') return undefined;
  const events = Array.isArray(parsed['events']) ? parsed['events'] : [];
  return { event: { user, changes: events.flatMap(changeOf) }, happened: parsed['success'] !== false };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    // Not JSON: the caller looks for the user in the text.
    return undefined;
  }
}

function changeOf(event: unknown): PushedChange[] {
  if (!isObject(event)) return [];
  const uid = wholeNumber(event['uid']);
  const uidValidity = wholeNumber(event['uid_validity']);
  const mailbox = event['mailbox'];
  const mailboxOld = event['mailbox_old'];
  return [
    {
      name: typeof event['name'] === 'string' ? event['name'] : '',
      ...(typeof mailbox === 'string' ? { mailbox } : {}),
      ...(typeof mailboxOld === 'string' ? { mailboxOld } : {}),
      ...(uid === undefined ? {} : { uid }),
      ...(uidValidity === undefined ? {} : { uidValidity }),
    },
  ];
}

/** 2, "2", 2.0 and "2.0" → 2; anything that is no UID → undefined. */
function wholeNumber(value: unknown): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined;
  if (value === '') return undefined;
  const number = Math.trunc(Number(value));
  return number > 0 && number <= 0xffffffff ? number : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
