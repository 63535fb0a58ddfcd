/** Codes of the command line itself. */
import { defineErrors } from '../lib/index.ts';

export const cliErrors = defineErrors({
  CLI_USAGE: {
    kind: 'usage',
    retry: 'never',
    summary: 'The command line names an unknown command or option, or lacks an argument.',
    remedy: 'See: understudy COMMAND --help',
  },
  CLI_DECLINED: {
    kind: 'refused',
    retry: 'never',
    summary: 'The question was answered with no; nothing was changed.',
    remedy: 'Answer yes, or give --yes.',
  },
  CLI_ANSWER_NEEDED: {
    kind: 'usage',
    retry: 'never',
    summary: 'The command changes servers, and nobody is there to be asked: no terminal.',
    remedy: 'Give --yes, or see first what would happen: --dry-run',
  },
  CLI_PLAN_GOES_ON: {
    kind: 'failed',
    retry: 'never',
    summary: 'A command that waits for a plan of the service was ended; the plan goes on.',
    remedy: 'See it: understudy plan list · stop it after its step: understudy plan interrupt ID',
  },
  CLI_FILE_UNWRITABLE: {
    kind: 'usage',
    retry: 'after-repair',
    summary: '`init` cannot write the configuration file.',
    remedy: 'Give this user the right to write there, or name another file with --config FILE.',
  },
  CLI_FILE_EXISTS: {
    kind: 'refused',
    retry: 'never',
    summary: '`init` would change a server that the configuration file defines already.',
    remedy: 'Choose another name, or edit the file.',
  },
});
