/** SELECT and EXAMINE, with what changed since a known state (QRESYNC, RFC 7162 section 3.2.5). */
import { mailErrors } from '../errors.ts';
import { normalizeFlags } from './flags.ts';
import { mailboxPart, mailboxRefusal } from './mailbox-list.ts';
import { parseSequenceSet, type UidRange } from './sequence-set.ts';
import type { Wire } from './wire.ts';

/** The state up to which the caller knows the mailbox. */
export interface KnownState {
  readonly uidValidity: number;
  /** Decimal, at least 1. */
  readonly modSeq: string;
  /** The UIDs held, as a sequence-set; absent = all. */
  readonly knownUids?: string;
}

export interface ChangedFlags {
  readonly uid: number;
  readonly flags: readonly string[];
  readonly modSeq: string | undefined;
}

export interface SelectedMailbox {
  readonly name: string;
  readonly readOnly: boolean;
  readonly exists: number;
  readonly uidValidity: number;
  /** Some old servers do not tell. */
  readonly uidNext: number | undefined;
  /** Absent with NOMODSEQ and without CONDSTORE. */
  readonly highestModSeq: string | undefined;
  readonly permanentFlags: readonly string[];
  /** PERMANENTFLAGS holds `\*`: new keywords may be made. */
  readonly takesNewKeywords: boolean;
  readonly flags: readonly string[];
  /** MAILBOXID (RFC 8474), where the server tells it here. */
  readonly mailboxId: string | undefined;
  /** Only with `since`, and when its UIDVALIDITY is still right: UIDs gone since then. May name UIDs never held. */
  readonly vanished: readonly UidRange[];
  /** The same for flags that changed since then; messages that came since too, unless `knownUids` left them out. */
  readonly changed: readonly ChangedFlags[];
}

export async function openMailbox(
  wire: Wire,
  name: string,
  options: { readonly readOnly: boolean; readonly since?: KnownState },
): Promise<SelectedMailbox> {
  const command = options.readOnly ? 'EXAMINE' : 'SELECT';
  const { since } = options;
  const parameter = since
    ? ` (QRESYNC (${since.uidValidity} ${since.modSeq}${since.knownUids ? ` ${since.knownUids}` : ''}))`
    : wire.has('CONDSTORE')
      ? ' (CONDSTORE)'
      : '';
  let exists = 0;
  let flags: readonly string[] = [];
  const vanished: UidRange[] = [];
  const changed: ChangedFlags[] = [];
  const codes = new Map<string, string>();
  const status = await wire.command(command, [`${command} `, mailboxPart(name), parameter], {
    take: (response) => {
      switch (response.type) {
        case 'exists':
          exists = response.count;
          return true;
        case 'flags':
          flags = response.flags;
          return true;
        case 'status':
          if (response.status === 'BYE') return false;
          if (response.code) codes.set(response.code.name, response.code.value);
          return true;
        case 'vanished':
          vanished.push(...(parseSequenceSet(response.uids) ?? []));
          return true;
        case 'fetch':
          if (response.uid === undefined || response.flags === undefined) return false;
          changed.push({ uid: response.uid, flags: response.flags, modSeq: response.modSeq });
          return true;
        default:
          return false;
      }
    },
  });
  if (status.status !== 'OK') throw await mailboxRefusal(wire, command, name, status);
  const uidValidity = Number(codes.get('UIDVALIDITY'));
  if (!Number.isInteger(uidValidity)) {
    throw mailErrors.make('MAIL_FEATURE_MISSING', `${wire.place} keeps no UIDs in ${name} (no UIDVALIDITY)`, {
      details: { place: wire.place, mailbox: name },
    });
  }
  const permanent = codes.get('PERMANENTFLAGS')?.replace(/[()]/g, '').split(' ') ?? [];
  const uidNext = codes.get('UIDNEXT');
  const highestModSeq = codes.get('HIGHESTMODSEQ');
  return {
    name,
    readOnly: status.code?.name === 'READ-ONLY' || options.readOnly,
    exists,
    uidValidity,
    uidNext: uidNext === undefined ? undefined : Number(uidNext),
    highestModSeq: highestModSeq === '0' ? undefined : highestModSeq,
    permanentFlags: normalizeFlags(permanent.filter((flag) => flag !== '' && flag !== '\\*')),
    takesNewKeywords: permanent.includes('\\*'),
    flags,
    mailboxId: codes.get('MAILBOXID')?.replace(/[()]/g, ''),
    vanished,
    changed,
  };
}
