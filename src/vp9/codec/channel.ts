/** The channel between the message thread and a codec thread. */

/** One end of a channel. */
export interface CodecChannel {
  readonly port: MessagePort;
  /** Words that both threads share: see Shared. */
  readonly shared: Int32Array;
}

/** The two ends of a new channel. */
export function codecChannel(): { readonly ours: CodecChannel; readonly theirs: CodecChannel } {
  const { port1, port2 } = new MessageChannel();
  const shared = new Int32Array(new SharedArrayBuffer(4 * Object.keys(Shared).length));
  return { ours: { port: port1, shared }, theirs: { port: port2, shared } };
}

/** Wakes the channel's thread, which then looks for what is new. */
export function wakeThread({ shared }: Pick<CodecChannel, "shared">): void {
  Atomics.add(shared, Shared.POSTED, 1);
  Atomics.notify(shared, Shared.POSTED);
}

/** Makes the channel's thread end after the job that it works on, without waiting for that. */
export function endThread(channel: Pick<CodecChannel, "shared">): void {
  Atomics.store(channel.shared, Shared.ENDED, 1);
  wakeThread(channel);
}

/** Words of a channel's shared memory. */
export const Shared = {
  /** Id of the newest "close": older jobs are answered without work. Stored before that job is posted. */
  CANCELLED: 0,
  /** Id of the last job that the thread has begun. Stored before it checks whether the job is cancelled. */
  BEGUN: 1,
  /** Jobs posted, and the order to end, modulo 2^32: the thread sleeps on it. Raised after each. */
  POSTED: 2,
  /** 1 from when the thread rings the bell until the message thread takes its results: one ring is for all of them. */
  RUNG: 3,
  /** 1 when the thread is to end after the job that it works on. */
  ENDED: 4,
} as const;
