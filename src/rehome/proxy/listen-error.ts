/** What the system said to a listener, as a code with what can be done about it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { ListenAddress } from '../../config/index.ts';
import type { UnderstudyError } from '../../lib/index.ts';
import { rehomeErrors } from '../errors.ts';

export function listenError(error: NodeJS.ErrnoException, listen: ListenAddress): UnderstudyError {
  const where = `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${listen.port}`;
  const details = { ...listen };
  switch (error.code) {
    case 'EADDRINUSE': {
      const holder = holderOf(listen.port);
      const who = holder === undefined ? 'another program' : `process ${holder.pid} (${holder.name})`;
      return rehomeErrors.make('REHOME_PORT_IN_USE', `${who} listens on ${where} already`, {
        cause: error,
        details: { ...details, ...holder },
      });
    }
    case 'EACCES':
      return rehomeErrors.make('REHOME_PORT_DENIED', `no right to listen on ${where}`, {
        cause: error,
        details,
      });
    case 'EADDRNOTAVAIL':
      return rehomeErrors.make('REHOME_ADDRESS_ABSENT', `this machine has no address ${listen.host}`, {
        cause: error,
        details,
      });
    default:
      return rehomeErrors.make('REHOME_LISTEN_FAILED', `cannot listen on ${where}: ${error.message}`, {
        cause: error,
        details,
      });
  }
}

/** Who listens on a TCP port, as far as this user may see; proc_pid_net_tcp(5), proc_pid_fd(5). */
function holderOf(port: number): { pid: number; name: string } | undefined {
  try {
    const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => listeningInodes(table, port)));
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      if (holdsSocket(pid, inodes)) {
        return { pid: Number(pid), name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() };
      }
    }
  } catch {
    // It only makes the message better; the system may not have /proc, or the process just ended.
  }
  return undefined;
}

const LISTENING = '0A';

function listeningInodes(table: string, port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync(`/proc/net/${table}`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(wanted) === true && state === LISTENING)
    .flatMap((fields) => fields[9] ?? []);
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    });
  } catch {
    // Another user's process, or one that ended while we looked.
    return false;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed while we looked.
    return '';
  }
}
