/** What a training changed in a model: what was learnt, and what else moved. */
@NullMarked
package dreambooth4j.evaluate;

import org.jspecify.annotations.NullMarked;
