/** The Message-ID of a message as served, or nothing. */
export function messageIdOf(raw: Uint8Array): string | undefined {
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const end = text.indexOf('\r\n\r\n');
  const header = text.subarray(0, end === -1 ? text.length : end + 2).toString('latin1');
  return /^message-id:\s*(<[^>\r\n]*>)/im.exec(header)?.[1];
}
