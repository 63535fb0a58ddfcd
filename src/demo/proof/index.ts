export { compareReadings, type Loss, type LostMessage, lossBetween, type Return } from './comparison.ts';
export { brokenPromises } from './promises.ts';
export { type AccountReading, type MailboxReading, type MessageReading, readAccount } from './reading.ts';
