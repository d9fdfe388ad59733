/** Class images: which are needed, which are there, which are missing. */
package dreambooth4j.prior;
