/** Reads a member of an object whose keys clients choose: `constructor` is a device like any other, and nobody inherits a choice. */
export function own<Value> (members: Readonly<Record<string, Value>> | undefined, key: string): Value | undefined {
  return members !== undefined && Object.hasOwn(members, key) ? members[key] : undefined
}
