/** The DOMExceptions of WebCodecs, by which its callers know what happened. */

export function abortError(message: string): DOMException {
  return new DOMException(message, "AbortError");
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export function invalidState(message: string): DOMException {
  return new DOMException(message, "InvalidStateError");
}

export function notSupported(message: string): DOMException {
  return new DOMException(message, "NotSupportedError");
}

/** What the output callback threw, as the cause: it is no failure of the device, whatever it is. */
export class OutputFailed extends Error {
  /** Throws OutputFailed. */
  static guard(callOutput: () => void): void {
    try {
      callOutput();
    } catch (error) {
      throw new OutputFailed("the output callback failed", { cause: error });
    }
  }
}
