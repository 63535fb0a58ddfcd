/** The part of html-to-text that we use; the package has no types of its own. */
declare module 'html-to-text' {
  export function convert(
    html: string,
    options?: {
      readonly wordwrap?: number | false;
      readonly limits?: {
        readonly maxInputLength?: number;
        readonly maxDepth?: number;
        readonly ellipsis?: string;
      };
      readonly selectors?: readonly {
        readonly selector: string;
        readonly format?: string;
        readonly options?: object;
      }[];
    },
  ): string;
}
