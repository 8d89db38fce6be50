/** Microseconds for each of `count` calls, after a tenth as many. */
export function each(count: number, work: () => void): number {
  for (let i = 0; i < count / 10; i++) work();
  const started = Bun.nanoseconds();
  for (let i = 0; i < count; i++) work();
  return (Bun.nanoseconds() - started) / count / 1000;
}
