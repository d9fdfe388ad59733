/** Captions, pictures, buckets and pairs: files and rules, no tensors beyond pixels. */
package dreambooth4j.data;
