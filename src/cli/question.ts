/** Questions on a terminal. Loaded lazily: most commands ask nothing. */
export async function confirm(message: string): Promise<boolean> {
  const prompts = await import('@clack/prompts');
  const answer = await prompts.confirm({ message, initialValue: false, output: process.stderr });
  return answer === true;
}
