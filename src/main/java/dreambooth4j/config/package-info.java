/** The configuration: records, one a section; reading, validation, defaults. */
package dreambooth4j.config;
