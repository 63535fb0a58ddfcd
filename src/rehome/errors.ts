/** Codes of rehoming: the front door and the commands of the operator. */
import { defineErrors } from '../lib/index.ts';

export const rehomeErrors = defineErrors({
  REHOME_PORT_IN_USE: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'Another program listens where the front door should; the message names it where it can be found.',
    remedy: 'End that program, or give the entry of `rehome` another `listen`.',
  },
  REHOME_PORT_DENIED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The front door may not listen on a port below 1024.',
    remedy:
      'Give it the right, in its unit file: AmbientCapabilities=CAP_NET_BIND_SERVICE · or listen on a higher port.',
  },
  REHOME_ADDRESS_ABSENT: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The address in `listen` is not one of this machine.',
    remedy:
      'Add the address to an interface of this machine, or correct `listen`; `ip addr` shows what there is.',
  },
  REHOME_LISTEN_FAILED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The front door could not listen, for another reason; the message holds the system’s words.',
    remedy: 'Correct what the message names, then: understudy proxy PAIR',
  },
  REHOME_NO_PROXY: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'A front door is asked for, and the pair has no entry of `rehome` with `kind: proxy`.',
    remedy: 'Add one to the pair: rehome: [{ kind: proxy, listen: 0.0.0.0:143, to: imap }]',
  },
  REHOME_PROXY_RUNNING: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The front door of this pair runs already, in another process.',
    remedy: 'Use that one, or end it first: understudy proxy PAIR --stop',
  },
  REHOME_PROXY_NOT_RUNNING: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The front door of this pair does not run, and something is asked of it.',
    remedy: 'Start it: understudy proxy PAIR',
  },
  REHOME_PROXY_NOT_STARTED: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'The front door was started and ended again, or did not answer in time; the message holds its last words.',
    remedy: 'Start it in the foreground and see: understudy proxy PAIR',
  },
  REHOME_PROXY_SILENT: {
    kind: 'failed',
    retry: 'later',
    summary:
      'The front door runs and does not answer, or broke off. What was asked of it may have been done or not.',
    remedy:
      'Ask again; if it stays silent, end its process (`ss -xlp` names it, by the socket of the message) and start it: understudy proxy PAIR',
  },
  REHOME_PROXY_REFUSED: {
    kind: 'usage',
    retry: 'after-repair',
    summary:
      'The front door does not know the server, or did not understand: it runs with another version or file.',
    remedy:
      'Restart it with the configuration of now: understudy proxy PAIR --stop, then understudy proxy PAIR',
  },
  REHOME_OVERTAKEN: {
    kind: 'refused',
    retry: 'later',
    summary: 'The front door was told another state before it had reached this one.',
    remedy: 'Find out who else moves the clients of this pair: understudy plan list; then repeat.',
  },
  REHOME_STATE_DAMAGED: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'What the front door remembered of its state cannot be read, so it must not guess which server is fenced.',
    remedy:
      'Find out which server of the pair is in use, then remove the named file and, where it is the standby, run the plan again.',
  },
  REHOME_STATE_NOT_KEPT: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'The front door could not write its state down. It was closed or held all the same, but not opened to another server.',
    remedy:
      'Make room on the disk of `dataDir`, and give the user of the front door the right to write there; then repeat.',
  },
  REHOME_HOOK_FAILED: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'A command of the configuration ended with a status that means failure, or by a signal; the message holds its last output.',
    remedy: 'Run the command by hand with the variables of the message, correct it, then resume the plan.',
  },
  REHOME_HOOK_TIMEOUT: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'A command of the configuration did not end within its `timeout`, and was killed.',
    remedy: 'Find out what it waits for, or give it a longer `timeout`; then resume the plan.',
  },
  REHOME_HOOK_ABSENT: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'A command of the configuration cannot be started: it is not there, or may not be executed.',
    remedy: 'Name the program by its absolute path and make it executable: chmod +x PROGRAM',
  },
});
