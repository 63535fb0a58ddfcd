/** Delivering mail as a mail transfer agent does (RFC 2033). */
export { connectLmtp, type LmtpClient, type LmtpOptions } from './client.ts';
