/** Sentences that depend on what a pair has. */
import type { TakeOver } from './context.ts';

/** How clients will follow. */
export function systemSentence({ rehomes, move, directory }: TakeOver): string {
  const proxies = rehomes.some(({ kind }) => kind === 'proxy');
  const commands = rehomes.filter(({ kind }) => kind === 'command').length;
  const ways = [
    ...(proxies ? [`open the front door to ${move.to}`] : []),
    ...(commands > 0 ? [`run the pair’s ${commands === 1 ? 'command' : `${commands} commands`}`] : []),
  ];
  if (ways.length === 0) {
    return directory === undefined
      ? `Clients have to be told of ${move.to} by a person`
      : `Clients follow the directory to ${move.to}`;
  }
  const text = ways.join(' and ');
  return `Move clients: ${text}`;
}
