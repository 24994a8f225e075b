/** Thrown when something outside cannot be reached: nothing was acknowledged, and the same may be tried again. */
export class Unavailable extends Error {
  constructor (what: string, options?: ErrorOptions) {
    super(`${what} is unavailable`, options)
    this.name = 'Unavailable'
  }
}
