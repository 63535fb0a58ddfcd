/** Codes of the plans that move the accounts of a pair. */
import { defineErrors } from '../../lib/index.ts';

export const takeOverErrors = defineErrors({
  TAKEOVER_ACCOUNTS_NEED_DIRECTORY: {
    kind: 'refused',
    retry: 'after-repair',
    summary: '`--account` moves some accounts, and the pair has no directory that could tell who is where.',
    remedy:
      'Add `directory` to the pair and let your front ends ask it, or leave `--account` out: the built-in front door moves everyone.',
  },
  TAKEOVER_NOTHING_TO_RESTORE: {
    kind: 'refused',
    retry: 'after-repair',
    summary:
      'The journal of the server holds no accounts as of that moment, so a standby would come up empty.',
    remedy: 'Shadow the server first: understudy shadow SERVER --once · or name a later moment.',
  },
  TAKEOVER_ACCOUNTS_NOT_FINISHED: {
    kind: 'failed',
    retry: 'later',
    summary: 'No account could be restored on the standby; the message tells the first problem.',
    remedy: 'Correct what the message names, then: understudy plan resume ID',
  },
  TAKEOVER_STANDBY_DIFFERS: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'After it was restored, the standby differs from the replica in every account.',
    remedy:
      'See the differences: understudy plan show ID. Correct the standby, then: understudy plan resume ID',
  },
  TAKEOVER_DIRECTORY_INCOMPLETE: {
    kind: 'failed',
    retry: 'later',
    summary:
      'The directory did not take the changes of some accounts, and nothing else keeps them off the old server.',
    remedy: 'Give the right to write to the entries that are named, then: understudy plan resume ID',
  },
  TAKEOVER_BOUND_LATE: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The directory bound an account to the old server after the plan had read which ones it has.',
    remedy:
      'Create the account on the new server and bind it there; see that new accounts come to that one: understudy plan show ID',
  },
  TAKEOVER_PROBE_FAILED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The clients have been moved, but a client of ours cannot work on the new server.',
    remedy:
      'Correct what the message names, then: understudy plan resume ID · or take it back: understudy plan rollback ID',
  },
  TAKEOVER_LIVE_NOT_CAUGHT_UP: {
    kind: 'failed',
    retry: 'later',
    summary: 'The last changes of the server could not be read, so a switchover would lose them.',
    remedy: 'See: understudy status. If the server is lost, use: understudy failover PAIR',
  },
  TAKEOVER_ACCOUNTS_UNREAD: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'Accounts of the server could not be read, so a switchover would leave behind what is new in them; nobody was moved.',
    remedy:
      'Repair them, or move the others alone: --account A[,A…], or move them as they are: --reason TEXT',
  },
  TAKEOVER_BURSTS_HELD: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'A burst of removals is held back from the standby, and with it what came after, so a switchover would leave that behind; nobody was moved.',
    remedy:
      'If it was meant: understudy standby accept PAIR --account A. Else restore the account first, or move it as it was: --reason TEXT',
  },
  TAKEOVER_SESSIONS_GO_ON: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'Sessions on the server that is to be left cannot be ended, and nothing but the directory keeps people off it: what they write there would be lost.',
    remedy:
      'Configure doveadm of the server, and allow it `kick`; or add a proxy to `rehome`; or end the sessions yourself, and say so with --reason TEXT',
  },
  TAKEOVER_FORMER_UNREACHABLE: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A rollback needs the former server, and it does not answer.',
    remedy: 'Bring the former server up (it stays fenced), then: understudy plan rollback ID',
  },
  TAKEOVER_NOT_CARRIED_BACK: {
    kind: 'failed',
    retry: 'later',
    summary: 'What was written on the acting server could not be carried back whole, so people stay there.',
    remedy:
      'Correct what the message names, then: understudy plan rollback ID · or leave it behind: understudy plan rollback ID --reason TEXT',
  },
  TAKEOVER_DIRECTORY_MISSING: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'The plan has changed entries of a directory that the pair does not have in the configuration any more, so a rollback could not set them back.',
    remedy: 'Give the pair its `directory` again, then: understudy plan rollback ID',
  },
  TAKEOVER_UNDECIDED: {
    kind: 'refused',
    retry: 'after-repair',
    summary:
      'The accounts were to be moved back by a new plan, while the one that moved them is neither made final nor taken back, and the server that they are on answers.',
    remedy:
      'Stay: understudy plan commit ID · or go back: understudy plan rollback ID · or, if the server that they are on is ill: understudy plan commit ID, then: understudy failover PAIR',
  },
});
