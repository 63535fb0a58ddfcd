export {
  createMailGenerator,
  type GeneratedMessage,
  type MailGenerator,
  type MessageOptions,
} from './generator.ts';
export type { PlannedMailbox } from './mailboxes.ts';
