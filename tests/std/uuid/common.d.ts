export function isNil(id: string): boolean;
export function validate(uuid: string): boolean;
export function version(uuid: string): number;
