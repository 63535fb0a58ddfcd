/** POSTs of JSON with an API key; its own agent, so that connections are kept where the server keeps them. */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export class JsonPoster {
  readonly #url: URL;
  readonly #agent: HttpAgent;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;

  /** `timeoutMs`: without any byte. `caFile` as PEM; read now. */
  constructor(options: {
    url: string;
    headers: Record<string, string>;
    timeoutMs: number;
    caFile?: string | undefined;
    insecure?: boolean | undefined;
  }) {
    this.#url = new URL(options.url);
    this.#headers = options.headers;
    this.#timeoutMs = options.timeoutMs;
    this.#agent =
      this.#url.protocol === 'https:'
        ? new HttpsAgent({
            keepAlive: true,
            rejectUnauthorized: options.insecure !== true,
            ...(options.caFile === undefined ? {} : { ca: readFileSync(options.caFile) }),
          })
        : new HttpAgent({ keepAlive: true });
  }

  /** Rejects with the system's error, or an `Error` that says how long was waited. */
  post(value: unknown, signal?: AbortSignal): Promise<HttpAnswer> {
    return this.#send('POST', Buffer.from(JSON.stringify(value)), signal);
  }

  /** As `post`. */
  get(signal?: AbortSignal): Promise<HttpAnswer> {
    return this.#send('GET', Buffer.alloc(0), signal);
  }

  async #send(method: 'GET' | 'POST', payload: Buffer, signal?: AbortSignal): Promise<HttpAnswer> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const send = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
      const request = send(this.#url, {
        method,
        agent: this.#agent,
        timeout: this.#timeoutMs,
        headers: { ...this.#headers, 'content-type': 'application/json', 'content-length': payload.length },
        ...(signal ? { signal } : {}),
      });
      request.once('response', resolve);
      request.once('error', reject);
      request.once('timeout', () => request.destroy(new Error(`no answer within ${this.#timeoutMs} ms`)));
      request.end(payload);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return { status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
  }

  close(): void {
    this.#agent.destroy();
  }
}
