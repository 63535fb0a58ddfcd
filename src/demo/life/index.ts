export { type Delivered, Deliveries } from './deliveries.ts';
export { type ClientCounts, MailClient } from './mail-client.ts';
