/**
 * INTERNALDATE (RFC 9051 `date-time`: `17-Jul-1996 02:44:25 -0700`) as one integer of six bytes where that gives
 * back the same text, else the text itself. Six bytes rather than 27 in every message's row.
 */
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const form = /^([ 0-3]\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/;

/** Milliseconds since 1970 of an INTERNALDATE, undefined when it is not one. */
export function internalDateMs(text: string): number | undefined {
  const parts = form.exec(text);
  if (!parts) return undefined;
  const month = months.indexOf(parts[2] as string);
  if (month < 0) return undefined;
  const local = Date.UTC(
    Number(parts[3]),
    month,
    Number(parts[1]),
    Number(parts[4]),
    Number(parts[5]),
    Number(parts[6]),
  );
  return local - zoneMinutes(parts) * 60_000;
}

function zoneMinutes(parts: RegExpExecArray): number {
  const minutes = Number(parts[8]) * 60 + Number(parts[9]);
  return parts[7] === '-' ? -minutes : minutes;
}

/** seconds × 8192 + (zone minutes + 2048) × 2 + (1 when a single digit day is padded with a blank). */
export function packDate(text: string): number | string {
  const parts = form.exec(text);
  const ms = internalDateMs(text);
  if (!parts || ms === undefined || ms < 0) return text;
  const packed = (ms / 1000) * 8192 + (zoneMinutes(parts) + 2048) * 2 + (text.startsWith(' ') ? 1 : 0);
  return Math.abs(zoneMinutes(parts)) < 2048 && unpackDate(packed) === text ? packed : text;
}

export function unpackDate(packed: number | string): string {
  if (typeof packed === 'string') return packed;
  const low = packed % 8192;
  const zone = Math.floor(low / 2) - 2048;
  const local = new Date(((packed - low) / 8192) * 1000 + zone * 60_000);
  const two = (n: number) => (n < 10 ? `0${n}` : `${n}`);
  const day = local.getUTCDate();
  const dayText = day < 10 ? `${low % 2 === 1 ? ' ' : '0'}${day}` : `${day}`;
  const away = Math.abs(zone);
  return (
    `${dayText}-${months[local.getUTCMonth()]}-${`${local.getUTCFullYear()}`.padStart(4, '0')} ` +
    `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())} ` +
    `${zone < 0 ? '-' : '+'}${two(Math.floor(away / 60))}${two(away % 60)}`
  );
}
