/**
 * Connections that have been refused a batch. Who comes again at once, though told to wait, is not read meanwhile: its
 * next request stays with the kernel and the client, and costs nothing until there is room for it.
 */
import type { Socket } from 'node:net'

export interface HeldConnections {
  /** Reads no more of a connection until it is let go. */
  hold: (socket: Socket) => void
  /** Reads again from those that have waited longest, as many as there is room for. */
  letIn: (room: number) => void
  /** Whether this connection was let in for a batch that it has not sent yet; it is only once, and for `holdMaxMs`. */
  usePass: (socket: Socket) => boolean
  /** How many were let in so. */
  awaited: () => number
  /** Reads again from those that have waited for `holdMaxMs`. */
  letGoOverdue: () => void
}

/** `now`: monotonic, ms. */
export function makeHeldConnections (holdMaxMs: number, now: () => number): HeldConnections {
  /** The longest held first. */
  const heldSince = new Map<Socket, number>()
  /** Since when; the longest first. */
  const passes = new Map<Socket, number>()
  const letGo = (socket: Socket): void => {
    heldSince.delete(socket)
    socket.resume()
  }
  return {
    hold (socket) {
      heldSince.set(socket, now())
      socket.pause()
    },
    letIn (room) {
      for (const [socket] of heldSince) {
        if (room <= 0) return
        letGo(socket)
        if (socket.destroyed) continue
        passes.set(socket, now())
        room--
      }
    },
    usePass: socket => passes.delete(socket),
    awaited: () => passes.size,
    letGoOverdue () {
      for (const [socket, since] of passes) if (socket.destroyed || now() - since >= holdMaxMs) passes.delete(socket)
      for (const [socket, since] of heldSince) {
        if (now() - since < holdMaxMs) return
        letGo(socket)
      }
    }
  }
}
