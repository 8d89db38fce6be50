/** Between the message thread and a codec thread. */

/** How the message thread reaches one codec thread. */
export interface CodecChannel {
  readonly port: MessagePort;
  /** Two words that both threads share: see Shared. */
  readonly shared: Int32Array;
}

/** The two ends of a new channel. */
export function codecChannel(): { readonly ours: CodecChannel; readonly theirs: CodecChannel } {
  const { port1, port2 } = new MessageChannel();
  const shared = new Int32Array(new SharedArrayBuffer(8));
  return { ours: { port: port1, shared }, theirs: { port: port2, shared } };
}

/** Words of a channel's shared memory. */
export const Shared = {
  /** The id of the newest "close": older jobs are answered without work. Stored before the job is posted. */
  CANCELLED: 0,
  /** The id of the last job that the thread has begun. Stored before it looks whether the job is cancelled. */
  BEGUN: 1,
} as const;
