/** What takes many modules, loaded when it is first used: they cost a command that only asks more than its work. */
import type { lostMessages as lostMessagesOf } from './lost.ts';
import type { TakeOverPorts } from './ports.ts';

/** The plans of a pair of mail servers: failover and switchover. */
export async function takeOverPlans(ports: TakeOverPorts) {
  const { failoverPlan, switchoverPlan } = await import('./definitions.ts');
  return [failoverPlan(ports), switchoverPlan(ports)] as const;
}

/** See `lost.ts`. */
export async function lostMessages(
  ...parameters: Parameters<typeof lostMessagesOf>
): ReturnType<typeof lostMessagesOf> {
  return (await import('./lost.ts')).lostMessages(...parameters);
}
