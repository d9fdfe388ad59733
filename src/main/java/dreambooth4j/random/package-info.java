/** Counter-based randomness, shared by every room; knows none of them. */
package dreambooth4j.random;
