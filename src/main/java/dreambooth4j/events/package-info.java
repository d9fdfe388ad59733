/** TensorBoard's event files. */
@NullMarked
package dreambooth4j.events;

import org.jspecify.annotations.NullMarked;
