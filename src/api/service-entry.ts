/** The service, loaded when it is started: its HTTP and metrics libraries cost a command more than its work. */
import type { MessagePort } from 'node:worker_threads';
import type { Adapters } from './adapters.ts';
import type { CoreParts } from './in-process.ts';
import type { RunningService } from './service/index.ts';
import type { ThreadStart } from './threads.ts';

/** See `service/service.ts`. */
export async function startService(parts: CoreParts, entry: URL): Promise<RunningService> {
  return (await import('./service/index.ts')).startService(parts, entry);
}

/** What main.ts does when it is the beginning of a thread: see `service/thread.ts`. */
export async function runServiceThread(
  port: MessagePort,
  start: ThreadStart,
  adapters: Adapters,
): Promise<void> {
  return (await import('./service/index.ts')).runServiceThread(port, start, adapters);
}

/** The description of the HTTP interface (OpenAPI 3.1), as the service gives it at /openapi.json. */
export async function openApiDocument(parts: CoreParts): Promise<object> {
  return (await import('./http/index.ts')).openApiDocument(parts);
}
