/** Points in time as operators write them: an RFC 3339 time, `lsn:N`, a checkpoint label, or `-2h`, `-90m`, `-3d`. */

import type { Lsn } from '../journal/index.ts';
import { nearest } from '../lib/index.ts';
import type { Catalog, Commit } from './catalog.ts';
import { catalogErrors } from './errors.ts';

/** What a spec says, before any catalog is asked. */
export type AtSpec =
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'lsn'; readonly lsn: number }
  | { readonly kind: 'label'; readonly label: string };

/** Reads a spec; `nowMs` is wall time. Error: CATALOG_AT_INVALID. */
export function parseAt(spec: string, nowMs: number): AtSpec {
  const text = spec.trim();
  const lsn = /^lsn:(\d{1,15})$/i.exec(text);
  if (lsn) return { kind: 'lsn', lsn: Number(lsn[1]) };
  const back = /^-(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|w)$/.exec(text);
  if (back) {
    const timeMs = nowMs - Number(back[1]) * (unitMs[back[2] as string] as number);
    if (Math.abs(timeMs) > DATE_MAX_MS) {
      throw catalogErrors.make('CATALOG_AT_INVALID', `further back than dates go: ${JSON.stringify(spec)}`);
    }
    return { kind: 'time', timeMs };
  }
  if (/^\d{4}-\d{2}-\d{2}(?:[Tt ]|$)/.test(text)) {
    const timeMs = rfc3339Ms(text);
    if (timeMs === undefined) {
      throw catalogErrors.make(
        'CATALOG_AT_INVALID',
        `not an RFC 3339 time with its zone: ${JSON.stringify(spec)}`,
      );
    }
    return { kind: 'time', timeMs };
  }
  if (text === '' || /^(-\d|lsn:|\d{4}-\d)/i.test(text)) {
    throw catalogErrors.make('CATALOG_AT_INVALID', `not a point in time: ${JSON.stringify(spec)}`);
  }
  return { kind: 'label', label: text };
}

const unitMs: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** ECMA-262 section 21.4.1.1: times beyond it have no date. */
const DATE_MAX_MS = 8.64e15;

/** RFC 3339 section 5.6 `date-time`; a day or hour that does not exist is none. */
function rfc3339Ms(text: string): number | undefined {
  const parts = /^(\d{4}-\d{2}-(\d{2}))[Tt ](\d{2}:\d{2}:\d{2}(?:\.\d+)?)([Zz]|[+-]\d{2}:\d{2})$/.exec(text);
  if (!parts) return undefined;
  const ms = Date.parse(`${parts[1]}T${parts[3]}${(parts[4] as string).toUpperCase()}`);
  const sameDay = new Date(Date.parse(`${parts[1]}T00:00:00Z`)).getUTCDate() === Number(parts[2]);
  return Number.isNaN(ms) || !sameDay ? undefined : ms;
}

/**
 * The commit that a spec means: the last one at or before that time or LSN, once a first pass has ended: in the middle of it the
 * replica has one half of the server, and looks as if the other had not been there. The state before a burst is one to go back to at
 * any time. Where one `account` is meant, it is whole from the end of its own first look on, and at an LSN that is given exactly it is
 * taken as it is: so do the hints that name one. Errors: CATALOG_AT_INVALID, CATALOG_AT_BEFORE_FIRST (names the first point that is
 * whole), CATALOG_AT_IN_FUTURE, CATALOG_LABEL_UNKNOWN (nearest label).
 */
export function resolveAt(catalog: Catalog, spec: string, nowMs: number, account?: string): Lsn {
  const at = parseAt(spec, nowMs);
  if (at.kind === 'label') {
    const found = catalog.checkpointByLabel(at.label);
    if (!found) throw unknownLabel(catalog, at.label);
    return found.lsn;
  }
  const last = catalog.lastCommit();
  if (at.kind === 'time' && at.timeMs > nowMs) {
    throw catalogErrors.make(
      'CATALOG_AT_IN_FUTURE',
      `${iso(at.timeMs)} has not come yet: it is ${iso(nowMs)}`,
    );
  }
  if (at.kind === 'lsn' && last && at.lsn > last.lsn) {
    throw catalogErrors.make(
      'CATALOG_AT_IN_FUTURE',
      `lsn:${at.lsn} has not come yet: the newest commit is lsn:${last.lsn}`,
    );
  }
  const found = at.kind === 'lsn' ? catalog.commitAtOrBefore(at.lsn as Lsn) : catalog.commitAtTime(at.timeMs);
  const first = firstWhole(catalog, account);
  if (found && first && found.lsn >= first.lsn) return found.lsn;
  const isExact =
    at.kind === 'lsn' && account !== undefined && found && catalog.account(account, found.lsn) !== undefined;
  if (!found || (!isExact && !catalog.checkpoints().some(({ lsn }) => lsn === found.lsn))) {
    throw beforeFirst(at.kind === 'lsn' ? `lsn:${at.lsn}` : iso(at.timeMs), first, account);
  }
  return found.lsn;
}

/** The first point at which the server, or this account of it, was known as a whole. */
function firstWhole(catalog: Catalog, account: string | undefined): Commit | undefined {
  const server = catalog.firstWholeCheckpoint();
  const own = account === undefined ? undefined : catalog.firstWholeLook(account);
  return own && (!server || own.lsn < server.lsn) ? own : server;
}

function beforeFirst(asked: string, first: Commit | undefined, account: string | undefined): Error {
  const what = account === undefined ? 'the first checkpoint' : `the first whole look at ${account}`;
  if (!first) {
    const under = account === undefined ? 'the first pass over the server' : 'it';
    return catalogErrors.make(
      'CATALOG_AT_BEFORE_FIRST',
      `${asked} is before ${what}: ${under} has not ended yet`,
      { remedy: 'Leave the time out, or wait until `understudy status` says that the first pass is done' },
    );
  }
  const place = `lsn:${first.lsn} at ${iso(first.time)}`;
  return catalogErrors.make('CATALOG_AT_BEFORE_FIRST', `${asked} is before ${what}, which is ${place}`, {
    remedy: `Choose ${place} or a later time`,
  });
}

function unknownLabel(catalog: Catalog, label: string): Error {
  const labels = catalog.checkpoints().flatMap((row) => (row.label === undefined ? [] : [row.label]));
  const near = nearest(label, labels);
  const known = labels.slice(-5).join(', ');
  const remedy = near
    ? `Did you mean ${near}?`
    : labels.length > 0
      ? `Labels set last: ${known}`
      : 'No checkpoint has a label yet. Set one with: understudy checkpoint SERVER --label L';
  return catalogErrors.make('CATALOG_LABEL_UNKNOWN', `no checkpoint is labelled ${JSON.stringify(label)}`, {
    remedy,
  });
}

/** RFC 3339 in UTC, for messages. */
export function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
