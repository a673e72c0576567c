//! How many exchanges at once: each takes a place before it begins, and gives it back when the body of
//! its answer has ended. That is what tower's `ConcurrencyLimit` does not do: its permit goes back with
//! the head of the answer, and an event stream would count for nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower::{Layer, Service};

use super::body::Body;
use super::budget::resize;

/// The places of all threads. Clones share them.
#[derive(Clone, Debug)]
pub struct Places(Arc<Semaphore>);

impl Places {
    /// This many places.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }

    /// Makes them `after` where they were `before`: while more than that are taken, nobody gets one.
    /// Call it on a runtime.
    pub fn resize(&self, before: usize, after: usize) {
        resize(&self.0, before, after);
    }
}

impl<S> Layer<S> for Places {
    type Service = Placed<S>;

    fn layer(&self, inner: S) -> Placed<S> {
        Placed { inner, places: PollSemaphore::new(Arc::clone(&self.0)), place: None }
    }
}

/// A service that is ready while a place is free.
#[derive(Debug)]
pub struct Placed<S> {
    inner: S,
    places: PollSemaphore,
    place: Option<OwnedSemaphorePermit>,
}

impl<S: Clone> Clone for Placed<S> {
    /// The place stays with the original.
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), places: self.places.clone(), place: None }
    }
}

impl<S> Service<Request<Body>> for Placed<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Placing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.place.is_none() {
            self.place = ready!(self.places.poll_acquire(cx));
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Placing<S::Future> {
        Placing { answer: self.inner.call(request), place: self.place.take() }
    }
}

pin_project! {
    /// An exchange until the head of its answer; then the body has the place.
    #[derive(Debug)]
    pub struct Placing<F> {
        #[pin]
        answer: F,
        place: Option<OwnedSemaphorePermit>,
    }
}

impl<F, E> Future for Placing<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        let place = this.place.take();
        Poll::Ready(answer.map(|answer| answer.map(|body| body.in_place(place))))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tower::{BoxError, ServiceBuilder, ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_place_is_kept_until_the_body_has_ended() {
        let places = Places::new(1);
        let stack = ServiceBuilder::new().load_shed().layer(places.clone());
        let service = stack.service(service_fn(|request: Request<Body>| async {
            Ok::<_, BoxError>(Response::new(request.into_body()))
        }));
        let ask = |body| service.clone().oneshot(Request::new(body));
        let (sender, endless) = Body::channel(1);
        let answer = ask(endless).await.unwrap();
        assert!(ask(Body::empty()).await.is_err());
        drop(sender);
        let mut body = answer.into_body();
        assert!(body.next_data().await.unwrap().is_none());
        assert!(ask(Body::empty()).await.is_err());
        drop(body);
        // Neither a call that was given up nor a refused one costs a place.
        for _ in 0..3 {
            drop(ask(Body::empty()));
            let mut answer = ask(Body::full(Bytes::from_static(b"x"))).await.unwrap();
            assert_eq!(answer.body_mut().next_data().await.unwrap().unwrap(), "x");
        }
        assert_eq!(places.0.available_permits(), 1);
    }
}
