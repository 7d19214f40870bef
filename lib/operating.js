'use strict'

/** What starts operations of the addon for a delivery. */
class Operating {
  /**
   * @param {(begin: (id: number) => void) => Promise<any>} start Starts an operation.
   * @param {import('../native').NativeDelivery} native
   * @param {InstanceType<typeof import('./variables').VariableSource>} variables
   */
  constructor(start, native, variables) {
    this.start = start
    this.native = native
    this.variables = variables
  }
}

// A named export: as a member of an object literal the class would not be a type.
exports.Operating = Operating
