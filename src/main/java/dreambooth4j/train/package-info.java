/** Training: one step, and the loop around it. */
@NullMarked
package dreambooth4j.train;

import org.jspecify.annotations.NullMarked;
